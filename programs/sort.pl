% Lists of digits in ascending order. That they are sorted is all that is known of them.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

ordered([]).
ordered([X|Xs]) :- digit(X, D), above(D, Xs).

above(_, []).
above(D, [X|Xs]) :- digit(X, E), E >= D, above(E, Xs).
