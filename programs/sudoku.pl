% A 4x4 sudoku of 16 images: every row, column and box holds each of 1 to 4 once.

nn(mnist_net, [X], Y, [1,2,3,4]) :: digit(X, Y).

new(D, Seen) :- \+ member(D, Seen).
place(X, Row, Column, Box, D) :-
    digit(X, D), new(D, Row), new(D, Column), new(D, Box).

% Boxes are the four quarters; a cell is checked against the cells before it.
sudoku(A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P) :-
    place(A, [], [], [], A1), place(B, [A1], [], [A1], B1),
    place(C, [A1,B1], [], [], C1), place(D, [A1,B1,C1], [], [C1], D1),
    place(E, [], [A1], [A1,B1], E1), place(F, [E1], [B1], [A1,B1,E1], F1),
    place(G, [E1,F1], [C1], [C1,D1], G1), place(H, [E1,F1,G1], [D1], [C1,D1,G1], H1),
    place(I, [], [A1,E1], [], I1), place(J, [I1], [B1,F1], [I1], J1),
    place(K, [I1,J1], [C1,G1], [], K1), place(L, [I1,J1,K1], [D1,H1], [K1], L1),
    place(M, [], [A1,E1,I1], [I1,J1], M1), place(N, [M1], [B1,F1,J1], [I1,J1,M1], N1),
    place(O, [M1,N1], [C1,G1,K1], [K1,L1], O1), place(P, [M1,N1,O1], [D1,H1,L1], [K1,L1,O1], P1).
