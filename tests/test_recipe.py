"""A recipe makes the same pictures again, from what is written in a file alone."""

import json

import numpy as np
import pytest
from toy_decoder import ToyDecoder

from explorer.errors import QueryError, WeightsMissing
from explorer.noise import Noise
from explorer.points import Points
from explorer.recipe import Recipe, storable
