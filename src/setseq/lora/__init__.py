"""Low-rank layers: a frozen linear map with a shared basis, identity and motion coefficients."""
