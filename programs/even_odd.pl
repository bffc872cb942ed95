% MNIST-EvenOdd: two handwritten digits and their sum, but only eight pairs are ever seen.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

sum(X, Y, Z) :- digit(X, X2), digit(Y, Y2), Z is X2+Y2.

% The examples are drawn from these pairs; training knows the sum alone.
pair(0,6). pair(2,8). pair(4,6). pair(4,8).
pair(1,5). pair(3,7). pair(1,9). pair(3,9).
even_odd(X, Y, Z) :- pair(X2, Y2), digit(X, X2), digit(Y, Y2), Z is X2+Y2.
