"""Operations on what was measured of clusters."""
