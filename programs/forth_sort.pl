% Bubble sort as in Forth: the sketch is given, and what the images show is not.
% Three images and the sorted list of their digits.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

hole(A, B, A, B) :- A =< B.
hole(A, B, B, A) :- A > B.

bubble([X], [], X).
bubble([H1,H2|T], [X1|T1], X) :- hole(H1, H2, X1, X2), bubble([X2|T], T1, X).

bubblesort([], L, L).
bubblesort(L, Sorted, Result) :- bubble(L, Rest, X), bubblesort(Rest, [X|Sorted], Result).

digits([], []).
digits([X|Xs], [D|Ds]) :- digit(X, D), digits(Xs, Ds).

forth_sort(Images, Sorted) :- digits(Images, Digits), bubblesort(Digits, [], Sorted).
