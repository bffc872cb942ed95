% A key for leaves: three networks read the margin, the shape and the surface of one leaf, observed is
% which plant it is from. Which leaves the plants have is simplified.

nn(margin_net, [X], M, [entire,toothed,lobed]) :: margin(X, M).
nn(shape_net, [X], S, [narrow,oval,round]) :: shape(X, S).
nn(surface_net, [X], F, [plain,veined,spotted]) :: surface(X, F).

plant(X, P) :- margin(X, M), shape(X, S), key(M, S, X, P).

key(lobed, narrow, _, dandelion).
key(lobed, oval, _, oak).
key(lobed, round, _, maple).
key(toothed, narrow, _, willow).
key(toothed, round, _, birch).
key(toothed, oval, X, P) :- surface(X, F), toothed_oval(F, P).
key(entire, narrow, _, olive).
key(entire, round, _, lilac).
key(entire, oval, X, P) :- surface(X, F), entire_oval(F, P).

toothed_oval(veined, beech).
toothed_oval(plain, cherry).
toothed_oval(spotted, cherry).
entire_oval(plain, laurel).
entire_oval(veined, dogwood).
entire_oval(spotted, lungwort).
