% The cheapest way through a map of four by four tiles, in the manner of the Warcraft maps: from the
% upper left to the lower right, by steps to the right (r) and down (d). Observed is the way, not what
% any tile shows or costs. Where two ways to a tile are equally cheap, the one from the left is taken.

nn(terrain_net, [X], T, [grass,forest,hill]) :: terrain(X, T).

price(grass, 1).
price(forest, 2).
price(hill, 3).

costs(X, C) :- terrain(X, T), price(T, C).

% Everybody pays for the first and the last tile, so what these show decides nothing.
way([X0,X1,X2,X3|Xs], Way) :-
    terrain(X0, _), steps(3, 3, Way), entries(Way, 0, 0, Entered), tiles(Xs, 4, Entered, Tiles),
    costs(X1, C1), costs(X2, C2), costs(X3, C3),
    C is 0 - C3, B is C - C2, A is B - C1,
    read(Tiles, A, B, C).

steps(0, 0, []).
steps(R, D, [r|Way]) :- R > 0, S is R - 1, steps(S, D, Way).
steps(R, D, [d|Way]) :- D > 0, E is D - 1, steps(R, E, Way).

% Which tiles a way enters, numbered by rows, and from where.
entries([], _, _, []).
entries([r|Way], Row, Column, [N-left|Rest]) :-
    Next is Column + 1, N is 4*Row + Next, entries(Way, Row, Next, Rest).
entries([d|Way], Row, Column, [N-above|Rest]) :-
    Next is Row + 1, N is 4*Next + Column, entries(Way, Next, Column, Rest).

tiles([], _, _, []).
tiles([X|Xs], N, Entered, [tile(X,Place,From)|Tiles]) :-
    place(N, Place), from(Place, Entered, N, From), M is N + 1, tiles(Xs, M, Entered, Tiles).

place(N, edge) :- 0 is N mod 4.
place(N, inner) :- 0 < N mod 4.

from(edge, _, _, any).                     % from above, as every way to it
from(inner, [], _, any).
from(inner, [N-From|_], N, From).
from(inner, [M-_|Rest], N, From) :- M \= N, from(inner, Rest, N, From).

% Tile by tile, how dear is the cheapest way to it? Only differences matter: A, B and C say by how much
% the tile above this one, above the next and above the one after that are dearer to reach than the
% tile read last. Histories that agree in these are counted together. In the last row, what lies
% above runs out.
read([Tile,T1,T2,T3|Tiles], A, B, C) :-
    enter(Tile, A, D), A1 is B - D, B1 is C - D, C1 is 0 - D, read([T1,T2,T3|Tiles], A1, B1, C1).
read([Tile,T1,T2], A, B, C) :- enter(Tile, A, D), A1 is B - D, B1 is C - D, read([T1,T2], A1, B1, 0).
read([Tile,T1], A, B, _) :- enter(Tile, A, D), A1 is B - D, read([T1], A1, 0, 0).
read([tile(X,_,From)], A, _, _) :- allowed(From, A), terrain(X, _).

enter(tile(X,Place,From), A, D) :-
    allowed(From, A), cheapest(Place, A, M), costs(X, P), D is M + P.

cheapest(edge, A, A).                      % there is nothing on the left
cheapest(inner, A, M) :- M is min(A, 0).

allowed(any, _).
allowed(left, A) :- A >= 0.
allowed(above, A) :- A < 0.
