"""Pairs from a language model: asked for several documents at a time, checked once, and held to the document's words.

prompts.py    what is asked, and how the answers look
ground.py     where in a document a quoted passage stands
extractor.py  documents to pairs
"""
