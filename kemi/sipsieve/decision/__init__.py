"""Decides on a message: weighs findings and limits by the policy, scrubs, explains."""
