"""What the paths to an answer are worth together: the model's and the built-in translator's."""
