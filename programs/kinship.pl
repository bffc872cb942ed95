% A family told in pictures, in the manner of CLUTRR: two images say how A is related to B and B to C,
% and observed is how A is related to C. A digit stands for a relation.

nn(relation_net, [X], R, [0,1,2,3,4,5]) :: drawn(X, R).

meaning(0, child).   meaning(1, parent).   meaning(2, sibling).
meaning(3, spouse).  meaning(4, grandchild).  meaning(5, grandparent).

% related(R, S, T): when A is an R of B and B an S of C, then A is a T of C.
related(child, child, grandchild).       related(child, sibling, nephew).
related(child, spouse, child).           related(child, parent, sibling).
related(child, grandchild, great_grandchild).
related(parent, parent, grandparent).    related(parent, sibling, parent).
related(parent, child, spouse).          related(parent, spouse, parent_in_law).
related(parent, grandparent, great_grandparent).
related(sibling, child, child).          related(sibling, parent, uncle).
related(sibling, sibling, sibling).      related(sibling, spouse, sibling_in_law).
related(sibling, grandchild, grandchild).  related(sibling, grandparent, great_uncle).
related(spouse, child, child_in_law).    related(spouse, parent, parent).
related(spouse, sibling, sibling_in_law).  related(spouse, grandparent, grandparent).
related(grandchild, spouse, grandchild). related(grandchild, child, great_grandchild).
related(grandparent, parent, great_grandparent).  related(grandparent, sibling, grandparent).
related(grandparent, spouse, grandparent_in_law). related(grandparent, child, parent_or_in_law).

kinship(X, Y, T) :- drawn(X, A), drawn(Y, B), meaning(A, R), meaning(B, S), related(R, S, T).
