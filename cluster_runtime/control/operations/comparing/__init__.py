"""Operations that say what tells two clusters apart."""
