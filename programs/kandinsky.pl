% A figure in the manner of Kandinsky patterns: several objects, each an image that two networks read.
% Observed is how many different shapes and how many different colours the figure has, no more.

nn(shape_net, [X], S, [circle,square,triangle]) :: shape(X, S).
nn(colour_net, [X], C, [red,yellow,blue]) :: colour(X, C).

figure(Xs, S, C) :- shapes(Xs, seen(0,0,0), S), colours(Xs, seen(0,0,0), C).

shapes([], seen(A,B,C), N) :- N is A + B + C.
shapes([X|Xs], Seen, N) :- shape(X, S), marked(S, Seen, Now), shapes(Xs, Now, N).

colours([], seen(A,B,C), N) :- N is A + B + C.
colours([X|Xs], Seen, N) :- colour(X, C), marked(C, Seen, Now), colours(Xs, Now, N).

marked(circle,   seen(_,B,C), seen(1,B,C)).
marked(square,   seen(A,_,C), seen(A,1,C)).
marked(triangle, seen(A,B,_), seen(A,B,1)).
marked(red,      seen(_,B,C), seen(1,B,C)).
marked(yellow,   seen(A,_,C), seen(A,1,C)).
marked(blue,     seen(A,B,_), seen(A,B,1)).
