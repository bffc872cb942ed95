% Stories about families, in the manner of CLUTRR. Each sentence of a story says how one person is
% related to another, and the word for it is an image. Who is spoken of are facts of the example:
% told(I, A, B) says that sentence I, counted from 0, is about how A is related to B. Observed is
% how the first person is related to the last.

nn(word_net, [X], R, [child,parent,sibling,spouse,grandchild,grandparent]) :: word(X, R).

kin(Xs, A, B, R) :- said(Xs, A, C, S), chain(Xs, C, B, S, R).

chain(_, B, B, R, R).
chain(Xs, C, B, S, R) :- said(Xs, C, D, T), related(S, T, U), chain(Xs, D, B, U, R).

said(Xs, A, B, R) :- told(I, A, B), sentence(Xs, I, X), word(X, R).

sentence([X|_], 0, X).
sentence([_|Xs], I, X) :- I > 0, J is I - 1, sentence(Xs, J, X).

% related(R, S, T): when A is an R of B and B an S of C, then A is a T of C, as a reader takes it who
% expects one marriage a person and no more than the story tells.
related(child, child, grandchild).            related(child, parent, sibling).
related(child, sibling, niece).               related(child, spouse, child).
related(child, grandchild, great_grandchild). related(child, grandparent, aunt).
related(parent, child, spouse).               related(parent, parent, grandparent).
related(parent, sibling, parent).             related(parent, spouse, parent_in_law).
related(parent, grandchild, child).           related(parent, grandparent, great_grandparent).
related(sibling, child, child).               related(sibling, parent, aunt).
related(sibling, sibling, sibling).           related(sibling, spouse, sibling_in_law).
related(sibling, grandchild, grandchild).     related(sibling, grandparent, great_aunt).
related(spouse, child, child_in_law).         related(spouse, parent, parent).
related(spouse, sibling, sibling_in_law).     related(spouse, grandparent, grandparent).
related(grandchild, spouse, grandchild).      related(grandchild, child, great_grandchild).
related(grandparent, sibling, grandparent).   related(grandparent, parent, great_grandparent).
related(grandparent, child, parent).          related(grandparent, grandchild, spouse).
related(niece, child, grandchild).            related(niece, sibling, niece).
related(niece, spouse, niece).                related(niece, parent, cousin).
related(niece, grandchild, great_grandchild). related(aunt, sibling, aunt).
related(aunt, child, sibling).                related(aunt, parent, great_aunt).
related(aunt, grandchild, child).             related(cousin, sibling, cousin).
related(cousin, child, niece).                related(cousin, grandchild, grandchild).
related(child_in_law, spouse, child_in_law).  related(child_in_law, sibling, niece_in_law).
related(parent_in_law, spouse, parent).       related(parent_in_law, parent, grandparent).
related(sibling_in_law, spouse, sibling).     related(sibling_in_law, parent, aunt).
related(sibling_in_law, child, child_in_law). related(sibling_in_law, sibling, sibling_in_law).
related(great_grandchild, spouse, great_grandchild).
related(great_grandparent, sibling, great_grandparent).
related(great_grandparent, child, grandparent).
related(great_grandparent, grandchild, parent).
related(great_aunt, sibling, great_aunt).     related(great_aunt, child, aunt).
related(niece_in_law, spouse, niece_in_law).  related(niece_in_law, sibling, niece_in_law).
