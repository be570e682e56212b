"""Bundles on this machine: finding, installing and signing them."""
