"""What several families of models have in common."""
