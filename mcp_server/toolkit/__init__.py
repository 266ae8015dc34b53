"""What tools are made of: definitions, arguments, toolsets, and how an answer is sent."""
