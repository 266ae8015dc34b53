"""What a server offers beside its tools: resources, prompts, completion of their arguments."""
