% Two handwritten digits out of 0 to 3; the parity of their sum is observed.

nn(mnist_net, [X], Y, [0,1,2,3]) :: digit(X, Y).

parity(X, Y, Z) :- digit(X, X2), digit(Y, Y2), Z is (X2+Y2) mod 2.
