"""Pages of HTML that need nothing but a browser: their shell, marked text, predictions, charts."""
