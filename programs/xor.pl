% Two images of a binary digit; their exclusive or is observed.

nn(mnist_net, [X], Y, [0,1]) :: bit(X, Y).

exclusive_or(X, Y, Z) :- bit(X, X2), bit(Y, Y2), Z is X2 xor Y2.
