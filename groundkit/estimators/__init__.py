"""The method on arrays, in the manner of scikit-learn."""
