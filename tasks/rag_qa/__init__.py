"""Questions over a corpus, with citations."""
