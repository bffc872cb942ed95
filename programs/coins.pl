% Two coins with different faces, each with a network of its own. Won when both show the same side.

nn(red_net, [X], F, [0,1]) :: red(X, F).
nn(blue_net, [X], F, [+,*]) :: blue(X, F).

side(0, tails).   side(+, tails).
side(1, heads).   side(*, heads).

outcome(S, S, win).
outcome(S, T, loss) :- \+ outcome(S, T, win).

game(X, Y, Outcome) :- red(X, F), blue(Y, G), side(F, S), side(G, T), outcome(S, T, Outcome).
