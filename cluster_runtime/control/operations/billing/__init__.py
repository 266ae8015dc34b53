"""Operations on what clusters cost."""
