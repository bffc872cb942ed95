% The sum of a list of digits, of any length.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

total([], 0).
total([X|Xs], N) :- total(Xs, M), digit(X, D), N is M + D.
