% Two garments and the one that an invented commutative table gives for them, which is observed.

nn(garment_net, [X], Y,
   ['t-shirt',trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,'ankle-boot']) :: garment(X, Y).

outfit(X, Y, Z) :- garment(X, A), garment(Y, B), blended(A, B, Z).

blended(A, B, C) :- blend(A, B, C).
blended(A, B, C) :- A \= B, blend(B, A, C).

% The table, one half of it; the entries were drawn at random and mean nothing.
blend('t-shirt', 't-shirt', dress). blend('t-shirt', trouser, 'ankle-boot').
blend('t-shirt', pullover, bag). blend('t-shirt', dress, pullover).
blend('t-shirt', coat, sandal). blend('t-shirt', sandal, 'ankle-boot').
blend('t-shirt', shirt, sneaker). blend('t-shirt', sneaker, 'ankle-boot').
blend('t-shirt', bag, trouser). blend('t-shirt', 'ankle-boot', 'ankle-boot').
blend(trouser, trouser, 't-shirt'). blend(trouser, pullover, sneaker).
blend(trouser, dress, coat). blend(trouser, coat, bag). blend(trouser, sandal, dress).
blend(trouser, shirt, dress). blend(trouser, sneaker, sneaker). blend(trouser, bag, bag).
blend(trouser, 'ankle-boot', bag). blend(pullover, pullover, sneaker).
blend(pullover, dress, shirt). blend(pullover, coat, pullover). blend(pullover, sandal, dress).
blend(pullover, shirt, pullover). blend(pullover, sneaker, bag). blend(pullover, bag, shirt).
blend(pullover, 'ankle-boot', 't-shirt'). blend(dress, dress, trouser).
blend(dress, coat, pullover). blend(dress, sandal, 'ankle-boot').
blend(dress, shirt, 't-shirt'). blend(dress, sneaker, coat). blend(dress, bag, 't-shirt').
blend(dress, 'ankle-boot', coat). blend(coat, coat, sneaker). blend(coat, sandal, 'ankle-boot').
blend(coat, shirt, shirt). blend(coat, sneaker, shirt). blend(coat, bag, shirt).
blend(coat, 'ankle-boot', 'ankle-boot'). blend(sandal, sandal, sneaker).
blend(sandal, shirt, pullover). blend(sandal, sneaker, sandal). blend(sandal, bag, trouser).
blend(sandal, 'ankle-boot', 't-shirt'). blend(shirt, shirt, pullover).
blend(shirt, sneaker, sneaker). blend(shirt, bag, dress). blend(shirt, 'ankle-boot', coat).
blend(sneaker, sneaker, shirt). blend(sneaker, bag, coat). blend(sneaker, 'ankle-boot', shirt).
blend(bag, bag, bag). blend(bag, 'ankle-boot', shirt).
blend('ankle-boot', 'ankle-boot', 'ankle-boot').
