"""The static site: overview, side by side, runs and method, computed from traces alone.

The same traces give the same bytes. What models and frameworks said is untrusted: templates escape everything, pages
take no script but the site's own files, and nothing is fetched from anywhere.
"""
