"""routerd, the one owner of the routers' guest channels, and routerctl, its command line."""
