% Two handwritten digits, an operator drawn from fonts between them, and the result observed.

nn(digit_net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
nn(operator_net, [O], S, [+,*]) :: operator(O, S).

arithmetic(X, O, Y, Z) :- digit(X, X2), operator(O, +), digit(Y, Y2), Z is X2+Y2.
arithmetic(X, O, Y, Z) :- digit(X, X2), operator(O, *), digit(Y, Y2), Z is X2*Y2.
