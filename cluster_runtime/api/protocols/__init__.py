"""AWS's protocols: requests and answers as bytes, and the shapes that they have. Pure."""
