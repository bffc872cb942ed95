% A handwritten formula: digits with operators between them, and its value as a fraction.
% Products and quotients bind first and from the left, as usual. Formulas may have any length up to
% four digits; [A,P,B] is DeepProbLog's form of three images.

nn(digit_net, [X], Y, [1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
nn(operator_net, [O], S, [+,-,*,/]) :: operator(O, S).

formula(Xs, V) :- reversed(Xs, [], Rs), total(Rs, N), value(N, V).

% Lists are read from their end, where the last term of a sum and the last factor of a term stand.
reversed([], Rs, Rs).
reversed([X|Xs], Done, Rs) :- reversed(Xs, [X|Done], Rs).

% A sum is one term, or a sum and a last term. What it is worth depends on two parts of the formula
% that share no image, so that ways to the same value are counted together, not listed.
total(Rs, N) :- term(Rs, N).
total(Rs, N) :- last_term(Rs, Term, O, Rest), operator(O, +), total(Rest, A), term(Term, B),
    N is A + B.
total(Rs, N) :- last_term(Rs, Term, O, Rest), operator(O, -), total(Rest, A), term(Term, B),
    N is A - B.

last_term([X,O|Rest], [X], O, Rest).
last_term([X,P|Rs], [X,P|Term], O, Rest) :- last_term(Rs, Term, O, Rest).

% Whole numbers stand for fractions: units of 1/2520^3, and 2520 is divisible by every digit, so that
% three quotients come out even.
unit(16003008000).

term([X], N) :- digit(X, D), unit(U), N is D * U.
term([X,O|Rest], N) :- operator(O, *), term(Rest, A), digit(X, D), N is A * D.
term([X,O|Rest], N) :- operator(O, /), term(Rest, A), digit(X, D), N is A // D.

% A value is a fraction in lowest terms, so that equal values are one answer.
value(N, V) :- unit(U), M is abs(N), gcd(M, U, G), N1 is N // G, D1 is U // G, fraction(N1, D1, V).

fraction(N, 1, N).
fraction(N, D, N/D) :- D > 1.

gcd(A, 0, A).
gcd(A, B, G) :- B > 0, C is A mod B, gcd(B, C, G).
