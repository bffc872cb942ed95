% Drawn objects, each with a shape and a colour that two networks read off the same image. Observed is
% what some objects are worth together.

nn(shape_net, [X], S, [circle,square,triangle,star]) :: shape(X, S).
nn(colour_net, [X], C, [red,green,blue,yellow]) :: colour(X, C).

points([], 0).
points([X|Xs], P) :- points(Xs, Q), worth(X, W), P is Q + W.

worth(X, W) :- shape(X, S), colour(X, C), corners(S, N), factor(C, F), W is N * F.

corners(circle, 1).  corners(triangle, 3).  corners(square, 4).  corners(star, 5).
factor(red, 1).      factor(green, 2).      factor(blue, 7).     factor(yellow, 11).
