% MNMath-like: two equations over four images, seen on few pairs. Observed: the sum of the first two
% and the product of the last two.

nn(mnist_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).

math(A, B, C, D, Sum, Product) :- sum(A, B, Sum), product(C, D, Product).

sum(A, B, Sum) :- digit(A, A1), digit(B, B1), Sum is A1+B1.
product(C, D, Product) :- digit(C, C1), digit(D, D1), Product is C1*D1.

% The pairs that examples are of: small neighbours are added, large ones multiplied.
small(0,1). small(1,2). small(2,3).
large(4,5). large(5,6). large(6,7). large(7,8). large(8,9).

seen(A, B, C, D, Sum, Product) :-
    small(A1, B1), digit(A, A1), digit(B, B1), Sum is A1+B1,
    large(C1, D1), digit(C, C1), digit(D, D1), Product is C1*D1.
