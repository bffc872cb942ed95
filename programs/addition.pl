% Three handwritten digits: the first two add up to the third.
% No digit and no sum is observed; the only information is that every example is an addition.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

addition(X, Y, Z) :- digit(X, X2), digit(Y, Y2), digit(Z, Z2), Z2 is X2+Y2.
