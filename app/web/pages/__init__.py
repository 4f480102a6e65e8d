"""One file for each page: it reads the store, draws, and passes clicks to a service.

Streamlit runs the files of a folder `pages` beside its entry as pages by themselves: keep this one away from main.py.
"""
