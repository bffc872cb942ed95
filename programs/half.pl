% MNIST-Half: two handwritten digits out of 0 to 4 and their sum, but only four pairs are ever seen.

nn(mnist_net, [X], Y, [0,1,2,3,4]) :: digit(X, Y).

sum(X, Y, Z) :- digit(X, X2), digit(Y, Y2), Z is X2+Y2.

% The examples are drawn from these pairs; training knows the sum alone.
pair(0,0). pair(0,1). pair(2,3). pair(2,4).
half(X, Y, Z) :- pair(X2, Y2), digit(X, X2), digit(Y, Y2), Z is X2+Y2.
