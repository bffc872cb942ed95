% Two handwritten digits out of 0 to 3; whether they are the same is observed.

nn(mnist_net, [X], Y, [0,1,2,3]) :: digit(X, Y).

equality(X, Y, yes) :- digit(X, D), digit(Y, D).
equality(X, Y, no) :- digit(X, X2), digit(Y, Y2), X2 =\= Y2.
