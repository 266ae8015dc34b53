"""Natural language to SQL, usable as a library: `Translator(dsn).translate(question)`."""
