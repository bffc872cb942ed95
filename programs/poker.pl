% A game of cards with two images per player and a card of the house that nobody sees. How often the
% house has which card is learnt from the outcomes.

nn(card_net, [X], R, [1,2,3,4]) :: rank(X, R).

t(_)::house(1); t(_)::house(2); t(_)::house(3); t(_)::house(4).

% The more a hand is worth, the higher its number: high card, pair, straight, three of a kind.
worth([R,R,R], V) :- V is 300+R.
worth(Cards, V) :- pair(Cards, R), V is 100+R.
worth(Cards, V) :- straight(Cards, R), V is 200+R.
worth(Cards, V) :- member(V, Cards).

pair(Cards, R) :- select(R, Cards, Rest), member(R, Rest).
straight(Cards, R) :- member(R, Cards), S is R+1, member(S, Cards), T is R+2, member(T, Cards).

best(Cards, V) :- worth(Cards, V), \+ (worth(Cards, W), W > V).

outcome(V, W, win) :- V > W.
outcome(V, W, loss) :- V < W.
outcome(V, V, draw).

game(A, B, C, D, Outcome) :-
    rank(A, Ra), rank(B, Rb), rank(C, Rc), rank(D, Rd), house(H),
    best([Ra,Rb,H], V), best([Rc,Rd,H], W), outcome(V, W, Outcome).
