% Numbers of any length, added digit by digit with a carry; the digits of the sum are observed.
% The ground program grows with the length, not with the number of sums.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
nn(given, [Z], Y, [0,1,2,3,4,5,6,7,8,9]) :: given(Z, Y).

sum([], [], [], 0).
sum([X|Xs], [Y|Ys], [Z|Zs], C) :-
    sum(Xs, Ys, Zs, C0), digit(X, A), digit(Y, B),
    S is A+B+C0, D is S mod 10, C is S // 10, given(Z, D).

addition(Xs, Ys, [Z|Zs]) :- sum(Xs, Ys, Zs, C), given(Z, C).
