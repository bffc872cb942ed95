% A handwritten formula: digit, operator, digit, operator, digit, and its value as a fraction.
% Products and quotients bind first, as usual.

nn(digit_net, [X], Y, [1,2,3,4,5,6,7,8,9]) :: digit(X, Y).
nn(operator_net, [O], S, [+,-,*,/]) :: operator(O, S).

% A value is a fraction N/D in lowest terms, so that equal values are one answer.
value(N, D, V) :- M is abs(N), gcd(M, D, G), N1 is N // G, D1 is D // G, fraction(N1, D1, V).

fraction(N, 1, N).
fraction(N, D, N/D) :- D > 1.

gcd(A, 0, A).
gcd(A, B, G) :- B > 0, C is A mod B, gcd(B, C, G).

% The sum so far, the product that is being built, and what remains to be read.
formula([X|Rest], V) :- digit(X, A), read(Rest, 0, 1, A, 1, V).

read([], SN, SD, PN, PD, V) :- N is SN*PD + PN*SD, D is SD*PD, value(N, D, V).
read([O,X|Rest], SN, SD, PN, PD, V) :-
    operator(O, S), digit(X, A), step(S, A, SN, SD, PN, PD, SN1, SD1, PN1, PD1),
    read(Rest, SN1, SD1, PN1, PD1, V).

step(*, A, SN, SD, PN, PD, SN, SD, PN1, PD) :- PN1 is PN*A.
step(/, A, SN, SD, PN, PD, SN, SD, PN, PD1) :- PD1 is PD*A.
step(+, A, SN, SD, PN, PD, SN1, SD1, A, 1) :- SN1 is SN*PD + PN*SD, SD1 is SD*PD.
step(-, A, SN, SD, PN, PD, SN1, SD1, A1, 1) :- SN1 is SN*PD + PN*SD, SD1 is SD*PD, A1 is -A.
