"""Operations that make clusters of what others were, and that bring a cluster back."""
