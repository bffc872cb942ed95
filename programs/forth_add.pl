% Addition as in Forth: a slot per position gives a digit and a carry. Two numbers of two images and
% the digits of their sum, one list as the answer.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

slot(X, Y, Carry, Carry2, O) :-
    digit(X, A), digit(Y, B), S is A+B+Carry, O is S mod 10, Carry2 is S // 10.

add([], [], C, C, []).
add([H1|T1], [H2|T2], C, Carry, [Digit|Rest]) :-
    add(T1, T2, C, Carry2, Rest), slot(H1, H2, Carry2, Carry, Digit).

add(Xs, Ys, [Carry|Rest]) :- add(Xs, Ys, 0, Carry, Rest).
