% What a car does, by what its camera sees: three concepts that hold or do not, read off one image.

nn(red_net, [X]) :: red(X).                  % the light is red
nn(obstacle_net, [X]) :: obstacle(X).        % something lies on the road
nn(pedestrian_net, [X]) :: pedestrian(X).    % somebody crosses the road

drive(X, stop, long) :- pedestrian(X).
drive(X, Move, Horn) :- \+pedestrian(X), clear(X, Move, Horn).

clear(X, stop, short) :- red(X), obstacle(X).
clear(X, stop, quiet) :- red(X), \+obstacle(X).
clear(X, swerve, short) :- \+red(X), obstacle(X).
clear(X, go, quiet) :- \+red(X), \+obstacle(X).

% The same with less to learn from: two concepts, of which only stop or go is observed.
act(X, stop) :- red(X).
act(X, stop) :- obstacle(X).
act(X, go) :- \+red(X), \+obstacle(X).
