% A bag of two pairs of digits and a number: one of the pairs, unknown which, has it as its sum.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

addition(X, Y, Z) :- digit(X, A), digit(Y, B), Z is A+B.

any_sum(Bag, Z) :- member([X,Y], Bag), addition(X, Y, Z).
