% Words of blocks, first a, then b, then c. Observed is whether the blocks are equally long, that is
% whether the word is one of a^n b^n c^n, which no context-free grammar describes.

nn(letter_net, [X], L, [a,b,c]) :: letter(X, L).

word([X|Xs], V) :- letter(X, a), as(Xs, 1, V).

% How many of the block's letters were read, and how many of the block before.
as([X|Xs], N, V) :- letter(X, a), M is N + 1, as(Xs, M, V).
as([X|Xs], N, V) :- letter(X, b), bs(Xs, N, 1, V).

bs([X|Xs], A, N, V) :- letter(X, b), M is N + 1, bs(Xs, A, M, V).
bs([X|Xs], A, N, V) :- letter(X, c), cs(Xs, A, N, 1, V).

cs([X|Xs], A, B, N, V) :- letter(X, c), M is N + 1, cs(Xs, A, B, M, V).
cs([], N, N, N, yes).
cs([], A, B, _, no) :- A =\= B.
cs([], A, A, C, no) :- A =\= C.
