"""A library of tags whose name another app uses too."""

from django import template

register = template.Library()
