"""One file a page: read the store, draw, hand the click on. No logic.

Not called `pages`: a folder of that name beside the entry makes Streamlit run its files as pages of their own until the
first call of `st.navigation`, so that the first visitor of `/runs` would see an empty page.
"""
