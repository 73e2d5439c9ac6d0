"""Conversations with the really started stack. ``*.yml`` beside this file is what a trainer reads and writes."""
