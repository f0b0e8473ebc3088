"""The pages, one file each.

Not in a directory named ``pages``: Streamlit takes such a directory for an application of its older
kind, and the first visitor of a fresh process who opens /collections gets that file without its frame.
"""
