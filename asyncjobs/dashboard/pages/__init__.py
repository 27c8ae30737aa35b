"""A module for each page: its routes, and what they answer."""
